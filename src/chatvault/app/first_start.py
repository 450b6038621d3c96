"""What a person needs to begin: where the gateway listens, the first tokens (shown once), and lines to try."""

import sys
from pathlib import Path

from chatvault.core.secrets import write_private


def tokens_text(first: dict[str, str], url: str) -> str:
    """The tokens of a first start, and the exact lines to try them with."""
    parts = []
    if "management_token" in first:
        parts.append(f"Management token (for the control plane):  {first['management_token']}\n")
    if "client_token" in first:
        token, model = first["client_token"], first["model"]
        parts.append(f"""\
Client token (for your applications):      {token}

Try it:

  curl {url}/v1/chat/completions -H 'Authorization: Bearer {token}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

  python -c 'from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="{token}")
answer = client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": "Hello"}}])
print(answer.choices[0].message.content)'
""")
    return "".join(parts)


def show(text: str, data_dir: Path) -> str:
    """Tokens go to a terminal, else into a file that only its owner may read. What to print instead is
    returned."""
    if sys.stdout.isatty():
        return text + "\nThese tokens are shown once. Keep them; `chatvault token create` makes more.\n"
    path = data_dir / "first-start.txt"
    write_private(path, text.encode())
    kept = f"The first tokens and lines to try are in {path} (readable by you alone)."
    return f"{kept} Keep them, then remove the file.\n"
