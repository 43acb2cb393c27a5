"""Ordinary words that may turn up as a name, a title or a value: those of the prompts' own wordings, and everyday ones.

Made-up words alone would leave the model unable to copy a word that it otherwise only reads (`product` in `product
manager`): a token has to have been copied now and then. Used for training conversations alone.
"""

from __future__ import annotations

from .draw import words_of

WORDS = words_of("""
abilities able about above abroad absolutely accept acceptable accepted access according account accounts act active
acts actually add added adding addition address addressed adds admiral adore adores advance advice advises after
afternoon again against age aged agent ages ago agree agreed ahead airport alas album all allergy allowed allows
almost alone along alpha already also alter altogether amazing amber among amount amounts analysed anchor and anderson
angry announce announced announces annoyed annoying annual another answer answers anthem anton any anyone anything
apart apollo app appear applied applies approval approved april archive archived are area arena around arranged
arranges arrive arrived arrives articles asap ask asked asking asks assigned assistant astronomer athens athletics
atlas atoms attend attended attendees attends audit august aurora austin available average awaits away awesome awful
back backend backlog backpackers backpacking bacon bacteria bad badly baguette baked baker bakery baking balance
ballad bamboo band bank bar bare based basketball batter battery beach beans bear bears beat beautiful became because
become been beetle before began begin beginning begins being belong belongs below berlin best beta better between big
bill billed billing biologist birth birthdate birthday black blank blocked blocking blood blue boarding boat bond
bonds bonus book booked books border bored boring born boss boston both bother bought bound box boxer boxes boxing
bracelet branch brave brazil bread breakfast breaking breaks breeze brewery bridge brief briefly bright brilliant
bring brings broke broken bronze brought brown bruno budget bug build bus business busy but butler butter button
buttons buy buyer buying buys bye cable cairo cake calculate calculator calendar call called calling calls calm came
can canada cancelled cancelling candle cannot canvas canyon capacity capital captain card cared careful careless
carries carry cascade case cash cashier castle castles catalogue catchy category cathedral causes cedar celebrates
celine cello cells cent central cereal chairs champions championship change changed chapel charge charged charger
charges charm charming chart charts chat cheap cheated check checked checks cheerful cheers cheese chef chemist
chemistry cheque chicago child children chile china chocolate choice choir choose choosing chorus chose cinema city
class classify clean clear clerk clever click clicks client clients climate clinic clock close closed closes closing
clouds club cluster coach coast code codes coffee coins cold colleague collect collected colour colours come comes
comet comfortable coming command commas comment commit company compass compiler complain complaint complete composed
composer comprises compute concern concerns concert concerts condition conductor confirmed confusing consists contact
contacted contacts contain contains contradicts conversation convert cook cooked cooking copied copper copy correct
corrected correction cost costs cosy cottage could count counted counter counts coupon courier course cover covered
covers crash crashes crashing create credentials credit credited crimson critical croissant crown cruise cry cuisine
cup cure curious currency current currently curry customer customers customs cut cycling cyclist damaged danced dancer
dark dashboard dashes data database date dated dates davis day days deadline deal dear dearer debit debited december
decide defect defective deficit degrees delay delayed delhi delicious delighted delightful deliver delivered
deliveries delivery delta denim denver depends deposit depot describe described desert design desk desks dessert
destination destined detail details detective diana did diet difference dining dinner direct dirty disabled
disappointed disappointing disaster discount discovered discussed disease disgrace disgusting dish dishes dislike
disliked dispatched displays distant divide divided dividend dna dob docker doctor does dollar dollars dolphin done
door doors dose double doubt dough down dragon draw draws dreadful drew drink driver drives drizzle drone drop dropped
drops drug drummer drums dry dublin due dull duration during each eager eagle early earn earns ease eases easy echo
eclipse economics economy edgar editor ednesday eggs egypt eight elegant else elsewhere email emails ember emergency
employed employee employer employs empty encore end endless ends enemy engine enjoy enjoyable enjoyed enjoys enough
enter entered entries entry equal error escrow euro euros evaluate even evening evenings event eventually ever every
everyone everything evolution exact exactly exceeded excellent exception exchange exciting excludes exist expected
expects expensive experience experienced experiment expert explains explanation explanations export express expression
extra extract fact factor facts failed fails failure falcon falls family fan fans fantastic far fast faster fault
faulty favourite feared feather feature features february fed fee feel fell felt fernandez ferry festival fever few
field fields fierce fight fights file filed files fill filled fills film final finance find finds fine finish finished
finland fiona firewall firm first fit fits five fix fixed flagged flat flawless flight flimsy flour flower flu fluent
fluently fog follow followed following follows fond food football for forbids forecast forest forget forgot form
format former forms forward fossil found founded founder four france free freeze freezes fresh friday friend friendly
friends from front frontend frost frozen frustrated frustrating full fully fun fund further fyi gained galaxy gallery
game games gamma garbled garden garlic gateway gave generous genes gentle get gets getting gift give given gives
glacier glad glitch glove goal goalkeeper goals goes going gold gone gonzalez good goods got grade graded grams
granite grants grape gratuity great green greetings grew grip group grow guess guest guests guide guided guides guitar
guitarist gustav had hail half hand handed handle handled handles hands handy hangs happen happens happier happy
harald harbor harbour hard harmony has hate hated have having head headache headed headset health healthcare healthy
hear heard heart heat heavy held hello help helped helper helpful helps herbs here hey hidden high higher highest
hills hired hit hitch hobbies hockey hold holds hole holiday holidays home honest hope hoped hopes horizon horrible
hospital host hosted hostel hosts hotel hour hours house how humble humidity hungry hurricane hurry hursday hut
hypothesis idea identified ignored imagined immediately immune import importance important impressed impressive
improvement improves inbox include includes income incorrect indeed india indigo infection inferior inflation info
inform information informed inhabitants injured input instantly instead interest interests into invalid investing
investment investor investors invited invites invoice invoiced isabel island iso issue issued italy items itinerary
its itself jackson january japan jasper jazz job jobs join joined joins journey joy json judge juggler july june
jungle jupiter just keen keep keeps kenya kernel key keyboard kick kicks kids kind kindly kitchen klara know known
knows korea kubernetes label labels laboratory lagoon lambda language languages lantern laptop large larger last lasts
late later latest laughed lawyer lazy leads league leak learned lease leave leaves led ledger left leisure lemon
length leopard less let letters level library lied life light like liked likes liking limit limited line linen lines
link lisbon list listed listen listened lists live lived lives living lizard load loan location locked locket log
logging login logistics london long longer look looked looking looks lookup lorenz lose loses lost lot lots lousy love
loved lovely loves low lowered lowers lowest luggage lunch lympic lyric lyrics mad made madrid magenta magician
magnificent mail mailed mainly make makes managed manager manages managing mango many map maple marathon marble march
margin maria mark marked market markets marks marlene marvellous mass master mastered masters match mathematician
mathematics matrix matter max may mayor maze meadow meal meals mean means meant measured measures medal medical
medicine mediocre meet meeting meets melody member members membership memory mental mention mentioned mentions menu
merchant mercury merger mess message messages messy met meteorology meters method mexico microscope midnight mild
miller million mind minor minus minute minutes mirror miserable mismatch miss missed missing mistake mistaken mobile
mode module molecule molecules moment monday money month monthly months more morning mortgage most mostly mountain
moved moves moving much mueller muffin multiplied multiply museum music must myself name named names nasty nathan
national near necklace need needed needs neighbour neptune never new news next nice nicer night nights nine noble
nobody noisy non noodles noon north norway not note noted notes nothing notice nova novelist november now nowhere null
number numbered nurse observed occupation october octopus off offer offered offers office offline old older olivia
olsen olympic omega once onday one onions online only open opened opens opera operation opposite option options orbit
orchard orchestra order ordered ordering orders organiser organist organization organized organizer organizes
organizing origin orion oslo other otherwise ought our out output outside outstanding oven over overdue overpriced own
owner owns pack package packed packs page pages paid pain palace pancake panther paper papers parcel parcels paris
park part participants particle parts pass passes passion passport password past pasta pastimes patient patients
patrick pay paying payment payments payroll pays pedal pen penalty pendant pending pension people pepper per percent
perfect perfectly performers performs permits person peru pet pharmacy phoenix phone phoned photo photos physicist
physics pianist piano pick picked picks piece pieces pinch pipeline pizza place placed places plan planet planned
planning plans platform play played player playlist plays pleasant please pleased pleasure plenty plugin plus pocket
poet point points poland policy polite poor popular population position positions possible post postal poster potato
pounds practised practises prairie praise precise prefers prepare prescribed present presently presents pressing
pressure prettier previous price priced prices print printed prints priority prize probe problem process processed
processing produce product production products profession profile profit profits program project promised promises
promo promoted proposal protocol proud proved published purchase purchased purchases put puzzle python qualified
quality quantum quarter quarterly quartet quentin question questions queue quick quickly quiet quite rabbit race rain
raincoat rained raise raised rang rank ranked rate rates rather raven reach reachable reached reaches react read
reader reading reads ready really rebate rebecca receipt received receives recently recheck recipe recipes recommend
record recorded records recovers red reduced reduces referee reference refund refundable refunded refunds refused
regarding regards region registered registration regret regular reimbursement rejected relaxes release released
reliable remain remains remark remember remind reminder remote rent rents repair replace replies reply report reported
reports request requested required research researchers reset reside residence resides respond rest restaurant rests
result results return returnable returned returning returns revenue review rhythm ribbon rice riday riddle rides right
ring ripple rises risk ritish road roadmap roast robot rock role rome room rooms rose round router row rows rude
ruined rules run rung runner running runs rush sacred saddle sadly safely said sailor salad salary sales salt samples
sang sat satellite satisfied saturn sauce save saved saw say says scan scarlet schedule scheduled school science
scientific scientists score scored scratch screen sculptor sea search season seasoned seat seats seattle second
seconds secretary see seems seen select sell seller sells semi send sender sending sends seniority sensor sent
sentence sentences september served server serves service set sets setting settings settle settled several shabby
shade shall shame shape share shared shareholders shares sharp she sheriff ship shipment shipped shipping ships shoes
shop shopping short shortcut shortcuts shortly should show showed showers shown shows shrimp side sightseeing sigma
sign sign-in signed signing silent silvia simmer simple simply since singer single sit site sits sizes skill skilled
skills skillset sleep sloppy slow slowed slower small smaller smells smelly smile smiled smooth smoother snow software
sold soldier solo solve solved some somebody someone something sometime sonata song songs soon sorry sort sorted sound
soup space spain sparrow speak speakers speaking speaks species speed spell spend spends spent spices splendid split
spoke spoken sport sports spot spring sprint squirrel stack stadium staff stage staged stale stand standing stands
star stars start started starts state stated states station status stay stayed stays stew still stipend stock stood
stopped stopping stops store storm straight streamed strengths stress striker string strong stuck studied studies
studio study stunning sturdier sturdy subject subscription subtract success sugar suggest suggestion suits sum summary
summit sums sun sunday sung sunny sunrise sunshine superb supervised supervises supervisor support supported sure
surgeon surgery surprise swap sweden swift swimmer swimming switched sydney symphony symptoms sync system tables
tablet tablets tag take taken takes taking talent talk talked talks tariff task tasks taste tasteless tastes tasty
taught tax taxes teach teaches team technical tel telephone telescope tell tells temperature temperatures template
temple tempo ten tennis tensor terraform terrible terrific tested text texts than thank thankful thanks that the
theater their them theme then theorem theory therapist therapy there these they thick thing things think third this
thought three thrilled through throws thunder thunderstorm thursday ticket tickets tiger time timeout times tiny tip
tire title tobias today together tokyo told tomorrow tonight too took tool tools top topic topped toronto total totals
tour tourism tourist tourists tournament tower town trace tracking tractor trade trader trailer train trained training
trains transfer transit travel travels treated treatment tries trio trip trips trouble truck true truly try tuesday
tuition tulip tunes tunnel turkey turn turned turquoise turtle twice twilight two type uesday uglier ugly umbrella
unbearable unclear uncomfortable unday undays under understand understands undo une unfriendly unhappier unhappy
unhelpful unprocessed unreliable until unwinds update upload upset urgency urgent urgently ursula use used useful
useless user users uses using vacation vaccine valid validation valley value valued values vat vector vegetable
vegetables velvet vendor venue venus verification verified version vertex very vienna vietnam view villages vincent
violet violin violinist virtual virus visa visit visited visiting visitors visits vitamins volcano voted voucher
waffle wage wait waited waiting waits walk walks wallet walnut walter want wanted wants warehouse warm warn was waste
watanabe watched wave way weak weaker weather webcam website wednesday week weekend weekends weekly weeks weigh weighs
weight welcome welcomes well wellness went were wet whale what wheel when whenever where whether which while whisper
who whole whom whose wide will wind window winery wish wished wishes with withdrawn within without wizard won wonder
wonderful word words work worked workers workflow working workplace works world worse worst worth would wrap wrapped
wrapping write writes writing written wrong wrongly wrote xavier year yearly years yes yesterday yet you your yours
yvonne yyyy zachary zenith zipper
""")
