"""What runs in a server pod around llama-server: fetching its GGUF, starting it, draining it."""
