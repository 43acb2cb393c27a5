"""Ordinary words that may turn up as a name, a title or a value: those of the prompts' own wordings, and everyday ones.

Made-up words alone would leave the model unable to copy a word that it otherwise only reads (`product` in `product
manager`): a token has to have been copied now and then. Used for training conversations alone.
"""

from __future__ import annotations

from .draw import words_of

WORDS = words_of("""
abilities about above abroad absolutely accept access account act add added adding addition address adds admiral adore
advises after afternoon again against age aged ages ago agreed ahead airport album allergy allowed allows along alpha
already amazing amber among amount amounts analysed anchor anderson angry announce announced annoyed annoying annual
another answer answers anthem anton anyone apart apollo app applies approval april area arena around arranged arrive
arrived arrives articles asap ask asked asks assistant athens atlas atoms attended attendees audit august aurora
austin available average awaits away awesome awful back backend backlog backpacking bacon bacteria bad baguette baked
bakery baking balance ballad bamboo band bank based basketball batter battery beach beans bears beat beautiful became
because beetle before begin begins being belong belongs berlin best beta better between big bill billed billing
biologist birth birthdate birthday black blank blocked blocking blood boarding bond bonds bonus book booked bored
boring born boss boston both bother bought bound box boxes boxing bracelet branch brave brazil bread breakfast breeze
brewery bridge briefly brilliant brings broke broken bronze brown bruno budget bug build bus butler butter button
buttons buy buyer buying buys cable cairo cake calculate calculator calendar call called calls calm came canada
cancelled cancelling candle cannot canvas canyon capacity capital captain card careful careless carries cascade case
cash cashier castle castles catchy category cathedral causes cedar celebrates celine cello cells central cereal chairs
champions championship change changed chapel charge charged charger charges charm charming chart charts cheap check
checked checks cheerful cheers chef chemist chemistry cheque chicago chile china chocolate choice choir choose chorus
cinema classify clean clear clerk clever click client clinic clock closed closes closing clouds club cluster coach
coast code codes coins cold colleague collected colour come comes comet comfortable coming command commas commit
company compass compiler complain complete composer comprises compute concerns concert conductor confirmed confusing
consists contact contacts contains contradicts conversation cook copper copy correct correction cost costs cosy
cottage count counts coupon courier course cover covered covers crash crashes credentials credit credited crimson
critical croissant crown cruise cry cup curious currency curry customer customers customs cut cycling cyclist damaged
dancer dark dashboard dashes data database date dated dates davis day days deadline deal dear dearer debit debited
december decide defective deficit degrees delay delhi delicious delighted delightful deliver delivered delivery delta
denim denver depends deposit depot described desert design dessert destination detail detective diana diet difference
dinner direct dirty disabled disappointed disappointing disaster discount discovered disease disgrace disgusting dish
dishes dispatched displays distant divide divided dividend dna dob docker doctor dollar dollars dolphin done door
doors dose double dough down dragon draw dreadful driver drives drizzle drone drop dropped drug drummer drums dry
dublin due dull duration during each eager eagle early earn earns echo eclipse economy edgar editor eggs egypt elegant
else email ember emergency employed employee employer employs encore end ends engine enjoy enjoyable enjoyed enjoys
enough entered entries entry equal error escrow evaluate event eventually ever every everyone everything evolution
exact exactly exceeded excellent exception exchange exciting excludes exist expected experience experiment expert
explains export express expression extra extract fact factor facts failed fails falcon falls fans fantastic far fast
fault faulty favourite feared feather feature features february fed fee fell felt fernandez ferry festival fever few
field fields fierce fight file filed files fill fills film final find fine finish finland fiona firewall first fit
five fix flat flawless flight flimsy flour flower flu fluent fog following follows fond food football forecast forest
form format forms fossil found founded france free freeze freezes fresh friday friendly friends front frontend frost
frozen frustrated frustrating full fully fund fyi galaxy gallery game games gamma garbled garden garlic gateway
generous genes gentle get gets getting gift give given gives glacier glad glitch goal goalkeeper goals goes going gold
gonzalez good goods got grade grams granite grape gratuity great greetings grew grip grow guests guide guided guitar
guitarist gustav hail handed handle handled handy hangs happens happier happy harald harbor harbour harmony hate head
headache headed headset health healthy hear heart heat heavy held hello help helpful helps herbs hidden high higher
hills hit hobbies hockey hold holds hole holiday home honest hope hoped hopes horizon horrible hospital host hosted
hostel hosts hotel hour hours house humble humidity hurricane hurry hypothesis idea identified immediately immune
import importance important impressed impressive improvement improves inbox includes income indeed india indigo
infection inferior inflation inhabitants injured input instantly interest interests invalid investment investor
investors invites invoice isabel island iso issue issued italy items itinerary itself jackson january japan jasper
jazz job jobs join joined journey json juggler july june jungle jupiter keen keep keeps kenya kernel key keyboard
kicks kind kindly kitchen klara know knows korea kubernetes label laboratory lagoon lambda language languages lantern
laptop larger last lasts late later latest lawyer lazy league leak learned lease leave leaves led ledger left leisure
lemon length leopard less let letters level library light like likes limit limited line linen lines link lisbon list
listed listen lists live lives living lizard load loan location locked locket logging login london long longer look
looked looking looks lookup lorenz lose loses lost lot lousy love lovely loves low lowers lowest luggage lunch lyric
lyrics made madrid magenta magician magnificent mail mailed makes managed manager manages mango many maple marathon
marble march margin maria marked market marlene marvellous match mathematics matrix matter max may mayor maze meadow
meal mean meant measured medal medicine mediocre meet meeting meets melody member membership memory mental merchant
mercury merger message messy meters method mexico microscope midnight mild miller million mind minor minus minute
minutes mirror miserable miss missed missing mistake mobile mode module molecule molecules moment monday money month
monthly more morning mortgage moved moving much mueller muffin multiplied multiply museum music must name named names
nasty nathan national near necklace need needs neptune never news next nice nights nine noble nobody noisy non noodles
noon north norway note noted notes nothing nova novelist november now null number numbered nurse observed occupation
october octopus off offered offers office offline old older olivia olsen olympic omega once onions online only opens
opera operation opposite option orbit orchard orchestra order ordered orders organiser organization organized
organizer organizes organizing orion oslo other otherwise out output outstanding oven overdue overpriced own owns
package packed packs page pages paid pain palace pancake panther paper papers parcel paris part participants particle
parts pass passes passport password pasta pastimes patient patients patrick pay paying payment pays pedal penalty
pendant pending pension people percent perfect perfectly performers performs person peru pet pharmacy phoenix phone
phoned photos physicist physics pianist piano pick picks piece pinch pipeline pizza place placed places planet planned
platform played player playlist plays pleasant please pleased pleasure plenty plugin plus pocket poet point poland
policy polite poor popular population position possible post postal potato prairie prescribed present presents
pressure previous price prices printed priority probe problem process processed processing product production products
profession profile profit profits program promised promo promoted proposal protocol proud published purchase purchases
put puzzle python qualified quality quantum quarter quarterly quentin question questions queue quick quite rabbit race
rain raincoat raise raised rang rank ranked rate rates raven reach reached read reading reads really rebate rebecca
receipt received receives recently recipe recommend record recorded records recovers reduced reduces referee reference
refund refundable refunded refunds refused regards region registered registration regret regular reimbursement
rejected relaxes release released reliable remain remains remember remote rent rents repair reply report reported
reports request required research researchers reset residence resides rest restaurant result results return returnable
returned returning revenue review rhythm ribbon rice riddle right ripple risk road roadmap robot rock role rome rooms
rose round router rows rude ruined run rung runner running runs rush sacred saddle safely sailor salad salary sales
salt samples sang satellite satisfied saturn sauce save say says scarlet schedule scheduled scientists score scored
scratch screen sculptor sea search season seats seattle second seconds sell seller sells semi send sender sending
sends seniority sensor sent sentences september served server serves service set setting settings settled several
shabby shade share shared shareholders shares sheriff ship shipment shipped shipping ships shop shopping short
shortcut shortcuts show showed showers shows shrimp side sightseeing sigma sign signing silent silvia simmer simple
simply since singer single sit site sits sizes skill skilled skills skillset sleep sloppy slow slowed small smelly
smile smooth snow software sold soldier solo solve solved some someone something sometime sonata song soon sort soup
space spain sparrow speak speakers speaks speed spell spend spends spent spices splendid split spoken spring sprint
squirrel stack stadium staff stage stale stand star stars start started starts state station status stew still stipend
stock stopped stops store storm straight streamed strengths striker strong stuck studio study stunning sturdy
subscription subtract sugar suggest suggestion suits sum summary summit sums sunday sunny sunrise sunshine superb
supervised supervisor support supported surgeon surgery sweden swift swimmer swimming switched sydney symphony
symptoms sync system tablet tablets take taken takes talk talked talks tariff tasteless tastes tasty tax taxes team
tel telephone telescope tell tells temperatures template temple tempo ten tennis tensor terraform terrible terrific
tested text texts thank thankful thanks theater theory therapy these thick thing things think thought thrilled through
throws thunder thunderstorm thursday ticket tickets tiger time timeout times tip tire title tobias today together
tokyo tomorrow tonight took tool top topic topped toronto total totals tour tourist tourists tournament tower town
trace tracking tractor trade trailer train trained trains transfer transit treated treatment tries trio trip truck
truly try tuesday tuition tulip tunnel turkey turn turned turquoise turtle twice twilight type ugly umbrella
unbearable uncomfortable under undo unfriendly unhappy unhelpful unreliable until update upload upset urgency urgent
urgently ursula use used useless user users uses vacation vaccine valid validation valley value vat vector vegetables
velvet vendor venue venus verification verified version vertex vienna vietnam view villages vincent violet violin
violinist virtual virus visa visit visited visitors visits vitamins volcano voucher waffle wage wait waiting waits
walk wallet walnut walter want wanted wants warehouse warm waste watanabe wave way weak webcam website wednesday
weekend weekly weeks weigh weighs weight welcomes well went wet whale wheel whenever whether whisper whole whom wide
wind window winery wish withdrawn within without wizard won wonder wonderful word words work worked workers workflow
working workplace works world worse worst worth wrap wrapped wrapping write writes writing written wrong wrote xavier
yearly years yesterday yet yours yvonne yyyy zachary zenith zipper
""")
