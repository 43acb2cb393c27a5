"""Model families as plain torch modules, their configs, and their weights from safetensors."""
