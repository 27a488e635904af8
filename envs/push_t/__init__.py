"""PushT: push a T-shaped block onto its outline."""
