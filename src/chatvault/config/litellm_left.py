"""Why a setting of LiteLLM's has no place in our configuration."""

import re
from typing import Final

_ONE_TARGET: Final = "a name leads to one target here"
_LIMITS: Final = "limits are not set by model here"
_OBSERVED: Final = "every call is in the journal and the ledger, and is sent nowhere else"
_ITS_CLIENT: Final = "a call keeps the parameters that its client sends"

_BY_KEY: Final = (
    (r"rpm|tpm|max_parallel_requests|default_.*_limit.*|.*_limit_type", _LIMITS),
    (r".*fallbacks|routing_strategy.*|weight|order|enable_pre_call_checks|model_group_.*", _ONE_TARGET),
    (
        r"num_retries|max_retries|retry_.*|allowed_fails.*|cooldown_time|.*_retry_policy",
        "there are no retries here",
    ),
    (r"redis_.*|cache.*|caching_.*", "answers are not cached here, and no Redis is needed"),
    (r".*callbacks?|callback_settings|json_logs|alert.*|otel", _OBSERVED),
    (
        r"master_key",
        "the first start makes a management token; `chatvault token create --management` makes more",
    ),
    (
        r"database_.*|store_model_in_db|.*_connection_.*",
        "state lives in files below `data_dir`, not in a database",
    ),
    (
        r"key_management_.*|custom_auth.*|.*jwt.*|.*sso.*|litellm_key_header_name",
        "tokens are ChatVault's own",
    ),
    (r"stream_timeout|.*timeout", "`timeouts` of a provider are seconds: connect, first_byte, idle, total"),
    (
        r"temperature|safety_settings|top_p|max_tokens|stop|seed|tools|.*_penalty|thinking|reasoning_effort|drop_params",
        _ITS_CLIENT,
    ),
    (r"aws_.*|vertex_.*|azure_ad_.*|tenant_id|client_(id|secret)", "no provider here signs in that way yet"),
    (
        r"tags|access_groups|team_.*",
        "tokens are limited to models instead: `chatvault token create --models`",
    ),
    (r"include", "import each file by itself"),
    (
        r"guardrails|mcp_.*|.*pass_through.*|vector_.*|search_.*|files_settings",
        "there is no such feature here",
    ),
)
_BY_SECTION: Final = (
    (r"environment_variables", "set it in `.env` or in the environment"),
    (r"model_list\[\d+\]\.model_info", "what is known of models comes with the price book"),
)


def why(section: str, key: str) -> str:
    """The reason, as the end of a line that begins with the setting's path."""
    for pattern, reason in _BY_SECTION:
        if re.fullmatch(pattern, section):
            return reason
    for pattern, reason in _BY_KEY:
        if re.fullmatch(pattern, key):
            return reason
    return "there is no such setting here"
