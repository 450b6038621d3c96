"""ChatVault: a gateway between applications and large language models that keeps a record of every call."""

__version__ = "0.1.0"
