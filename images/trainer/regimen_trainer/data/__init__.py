"""From exports to a revision: read, validate, de-identify, split, write, publish. No model library is needed here."""
