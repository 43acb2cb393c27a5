"""From logits to token ids: penalties, masks, truncation, Philox draws, log probabilities."""
