"""Names that several files of this dialect share."""

from typing import Final

ME: Final = "anthropic.messages"

ANSWER_TOOL: Final = "chatvault_answer"
"""The tool that takes a structured answer where the model has no native way to give one. Its call is read as
the answer's text.
"""

WRAPPED_ANSWER_TOOL: Final = "chatvault_wrapped_answer"
"""The same for an answer that is no object: it is the member `WRAPPED` of the call's input, since a tool
takes an object.
"""

WRAPPED: Final = "answer"
