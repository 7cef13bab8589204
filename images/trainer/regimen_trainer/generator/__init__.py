"""Synthetic business data and a small model, so that everything can be tried without a patient or a download."""
