"""A configuration of the LiteLLM proxy, turned into ours, with a list of what could not be carried over.

The file is read as texts: a price stays the decimal it is, and nothing in it is executed or filled in. Every key
is taken by somebody or reported by its path; values are not shown there, since they may be secret.

https://docs.litellm.ai/docs/proxy/config_settings (2026-10)
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec
import yaml

from chatvault.config.litellm_kinds import (
    KINDS,
    RESERVED,
    VERTEX_LOCATION,
    Kind,
    bedrock_model,
    provider_of,
)
from chatvault.config.litellm_left import why
from chatvault.config.yaml_text import Account, Ours, written
from chatvault.core.errors import OperatorError

_KEPT_TAGS: Final = ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:null")
_ENVIRON: Final = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
_OFF: Final = ("false", "no", "off")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PRICES: Final = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "output_cost_per_audio_token": "output_audio",
}
"""Dollars a token there, a million tokens here."""
_AWS: Final = {
    "aws_region_name": "region",
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}

Section = dict[str, Any]


class Imported(msgspec.Struct, frozen=True):
    text: str
    """Our `config.yaml`."""
    left: tuple[str, ...]
    """What it does not hold, a line each: the path in LiteLLM's file, and why."""


class _Texts(yaml.SafeLoader):
    """Scalars stay the texts they are, but for nulls, and the keys that merge."""


_Texts.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] in _KEPT_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def import_litellm(text: str, name: str) -> Imported:
    """What LiteLLM's file says, in our words. `name` is the file's. Raises OperatorError for what is no
    configuration of LiteLLM's."""
    try:
        tree = yaml.load(text, Loader=_Texts)  # noqa: S506  a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise OperatorError(f"{name}{line}: {error.problem or error.context}", code="bad_config") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise OperatorError(f"{name} cannot be read: {error}", code="bad_config") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("model_list") or [], list):
        raise OperatorError(
            f"{name}: a configuration of LiteLLM's is a mapping with a `model_list`", code="bad_config"
        )
    found = _Import(_mapping(tree))
    return Imported(written(found.ours, name, tuple(found.left)), tuple(found.left))


class _Import:
    """One file. What has been taken is removed from the sections; what is left over is reported."""

    def __init__(self, tree: Section) -> None:
        self.ours = Ours()
        self.left: list[str] = []
        self._accounts: dict[Account, str] = {}
        self._credentials = _credentials(tree.pop("credential_list", None))
        self._settings = _mapping(tree.pop("litellm_settings", None))
        self._router = _mapping(tree.pop("router_settings", None))
        self._patience = self._seconds(self._router, "timeout") or self._seconds(
            self._settings, "request_timeout"
        )
        entries = list(enumerate(tree.pop("model_list", None) or []))
        # Those for all models of a provider come first: the names they are called by become the accounts'.
        for index, entry in sorted(entries, key=lambda each: not _open(each[1])):
            self._model(f"model_list[{index}]", _mapping(entry))
        self._aliases()
        general = _mapping(tree.pop("general_settings", None))
        self._general(general)
        self._rest("litellm_settings", self._settings)
        self._rest("router_settings", self._router)
        self._rest("general_settings", general)
        self._rest("environment_variables", _mapping(tree.pop("environment_variables", None)))
        self._rest("", tree)

    # --- models

    def _model(self, path: str, entry: Section) -> None:
        public = entry.pop("model_name", None)
        params = _mapping(entry.pop("litellm_params", None))
        credential = params.pop("litellm_credential_name", None)
        params = self._credentials.get(str(credential), {}) | params
        model = params.pop("model", None)
        if not isinstance(public, str) or not isinstance(model, str):
            self.left.append(f"{path}: it has no model_name, or no litellm_params.model")
            return
        provider, there = provider_of(model, params.pop("custom_llm_provider", None))
        kind = KINDS.get(provider or "")
        if kind is None or _ENVIRON.fullmatch(model):
            what = (
                f"there is no provider {provider!r} here yet" if provider else "its provider cannot be told"
            )
            self.left.append(f"{path} ({_shown(public)}): {what}")
            return
        if kind.name == "bedrock":
            there, region = bedrock_model(there)
            params.setdefault("aws_region_name", region)
        account = self._account(kind, params)
        if not self._place(f"{path} ({_shown(public)})", public, there, account):
            return
        info = _mapping(entry.pop("model_info", None))
        prices = {key: params.pop(key, info.pop(key, None)) for key in _PRICES}
        self._price(path, f"{self._accounts[account]}/{there}", prices)
        self._rest(f"{path}.litellm_params", params)
        self._rest(f"{path}.model_info", info)
        self._rest(path, entry)

    def _account(self, kind: Kind, params: Section) -> Account:
        base_url = _value(params.pop("api_base", None)) or _value(params.pop("base_url", None))
        if kind.name == "openai" and base_url and not base_url.startswith("https://api.openai.com"):
            kind = KINDS["openai_like"]
        if base_url and kind.name == "azure":
            base_url = re.sub(r"/openai(/.*)?$", "", base_url.rstrip("/"))
        if base_url and kind.name == "anthropic":
            base_url = base_url.rstrip("/").removesuffix("/v1/messages")
        headers = {
            str(name): _value(value) or ""
            for name, value in _mapping(params.pop("extra_headers", None)).items()
        }
        if organization := _value(params.pop("organization", None)):
            headers["OpenAI-Organization"] = organization
        if kind.name == "bedrock":
            base_url = _value(params.pop("aws_bedrock_runtime_endpoint", None)) or base_url
        version = _value(params.pop("api_version", None)) if kind.name == "azure" else None
        return Account(
            kind=kind.name,
            base_url=base_url or kind.base_url,
            api_key=_value(params.pop("api_key", None)) or kind.key,
            api_version=version,
            headers=tuple(headers.items()),
            first_byte=self._seconds(params, "timeout") or self._patience,
            **_vertex(params, kind),
            **_bedrock(params, kind),
        )

    def _place(self, path: str, public: str, there: str, account: Account) -> bool:
        """Whether the name leads where it led; if not, that is noted."""
        name = self._called(account, public.removesuffix("/*") if public.endswith("/*") else None)
        if public == "*" and there == "*":
            if self.ours.default_provider in (None, name):
                self.ours.default_provider = name
                return True
        elif there == "*" and public == f"{name}/*":
            return True
        elif public in self.ours.models:
            self.left.append(f"{path}: another target of the same name; the first one answers")
            return False
        elif "*" not in public + there:
            if public != f"{name}/{there}":  # such a name is always there
                self.ours.models[public] = (name, there)
            return True
        self.left.append(f"{path}: of patterns only `provider/*` and one `*` can be carried")
        return False

    def _called(self, account: Account, wanted: str | None) -> str:
        """The account's name: what it is asked for by, else its kind, else its host; a number where it is
        taken."""
        if account in self._accounts:
            return self._accounts[account]
        compatible = account.kind == "openai-compatible"
        if wanted is None or not _NAME.fullmatch(wanted) or (compatible and wanted in RESERVED):
            wanted = _host(account.base_url or "") if compatible else account.kind
        name, number = wanted, 1
        while name in self.ours.accounts:
            number += 1
            name = f"{wanted}-{number}"
        self.ours.accounts[name] = account
        self._accounts[account] = name
        return name

    def _price(self, path: str, target: str, said: Section) -> None:
        price: dict[str, str] = {}
        for key, field in _PRICES.items():
            if said[key] is None:
                continue
            amount = _million(said[key])
            if amount is None:
                self.left.append(f"{path}: {key} is no amount that whole pico-dollars can say")
            else:
                price[field] = amount
        if "input" in price:
            self.ours.prices.setdefault(target, price)
        elif price:
            self.left.append(f"{path}: its price has no input_cost_per_token")

    def _aliases(self) -> None:
        for alias, said in _mapping(self._router.pop("model_group_alias", None)).items():
            model = said.get("model") if isinstance(said, dict) else said
            if model in self.ours.models:
                self.ours.models.setdefault(alias, self.ours.models[model])
            else:
                self.left.append(
                    f"router_settings.model_group_alias.{_shown(alias)}: its model was not carried"
                )

    # --- settings

    def _general(self, general: Section) -> None:
        size = general.get("max_request_size_mb")
        if isinstance(size, str) and re.fullmatch(r"[1-9][0-9]{0,5}", size):
            del general["max_request_size_mb"]
            self.ours.max_body = f"{size}MiB"
        self.ours.bodies = _on(general.pop("store_prompts_in_spend_logs", None))
        self.ours.debug = _on(self._settings.pop("set_verbose", None))
        # What a provider cannot carry is always left out here, and named in the answer's head; messages are kept
        # only where it is asked for.
        for key in ("drop_params", "turn_off_message_logging"):
            self._settings.pop(key, None)

    def _seconds(self, section: Section, key: str) -> str | None:
        text = section.get(key)
        if not isinstance(text, str) or not _SECONDS.fullmatch(text) or not Decimal(text):
            return None
        del section[key]
        return f"{text}s"

    def _rest(self, path: str, section: Section) -> None:
        """What nobody took. A switch that is off, or has no value, needs nobody."""
        for key, value in section.items():
            if _on(value):
                self.left.append(f"{path}{'.' if path else ''}{_shown(key)}: {why(path, key)}")


def _vertex(params: Section, kind: Kind) -> dict[str, str | None]:
    """What signs calls to Vertex AI, and where they go. LiteLLM takes a path for credentials, or their text."""
    if kind.name != "vertex":
        return {}
    said = _value(params.pop("vertex_credentials", None))
    text = said is not None and said.lstrip().startswith("{")
    return {
        "project": _value(params.pop("vertex_project", None)),
        "location": _value(params.pop("vertex_location", None)) or VERTEX_LOCATION,
        "credentials" if text else "credentials_file": said,
    }


def _bedrock(params: Section, kind: Kind) -> dict[str, str | None]:
    """What signs calls to Bedrock."""
    if kind.name != "bedrock":
        return {}
    return {ours: _value(params.pop(theirs, None)) for theirs, ours in _AWS.items()}


def _mapping(value: object) -> Section:
    return {str(key): each for key, each in value.items()} if isinstance(value, dict) else {}


def _credentials(value: object) -> dict[str, Section]:
    entries = [_mapping(each) for each in value] if isinstance(value, list) else []
    return {str(each.get("credential_name")): _mapping(each.get("credential_values")) for each in entries}


def _open(entry: object) -> bool:
    """Whether it is for all models of a provider."""
    return str(_mapping(entry).get("model_name")).endswith("/*")


def _on(value: object) -> bool:
    return value is not None and not (isinstance(value, str) and value.lower() in _OFF)


def _value(value: object) -> str | None:
    """A text as our file has it: variables of the environment as `${NAME}`."""
    if not isinstance(value, str) or not value:
        return None
    found = _ENVIRON.fullmatch(value)
    return f"${{{found[1]}}}" if found is not None else value.replace("${", "$${")


def _host(base_url: str) -> str:
    """A provider's name, by where it listens: `http://gpu-box:8000/v1` is `gpu-box`, `${GPU_URL}` is `gpu`."""
    if found := re.match(r"\$\{([A-Za-z0-9_]+)", base_url):
        name = re.sub(r"(_API)?(_BASE)?(_URL)?$", "", found[1]).lower().replace("_", "-").strip("-")
    else:
        found = re.match(r"https?://([A-Za-z0-9][A-Za-z0-9._-]*)", base_url)
        name = found[1] if found else ""
    name = name[:48] or "local"
    return f"{name}-server" if name in RESERVED else name


def _million(text: object) -> str | None:
    """Dollars for a million, exactly, of dollars for one."""
    try:
        amount = Decimal(text) if isinstance(text, str) and len(text) < 40 else Decimal("nan")
        exact = amount.is_finite() and 0 <= amount < 1 and not amount.scaleb(12) % 1
    except InvalidOperation:
        return None
    return f"{amount.scaleb(6).normalize():f}" if exact else None


def _shown(text: object) -> str:
    """A key or a name as a line of text can show it."""
    return str(text) if str(text).isprintable() else repr(str(text))
