"""How seedling is made: `python -m ramify.seedling.training` makes data, tokenizer, target and draft again.

A seeded generator (`draw`, `entities`, the record domains and the five task modules) writes every conversation, so
there is no corpus to fetch and nothing was copied from one. `tokenizer` learns the vocabulary, `data` packs rows in
worker processes, `train` runs the loop on one GPU, `evaluate` judges the result (`benchmarks/seedling.py` writes it
into the model card).
"""
