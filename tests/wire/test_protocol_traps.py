"""Facts of real traffic that break naive translators, and the tests that prove that they do not break this one.

A fact is named in the words of its kind; its tests are named by file and function, and must be there.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

CHAT, RESPONSES, ANTHROPIC, GEMINI = (
    f"wire/test_traps_{name}.py" for name in ("chat", "responses", "anthropic", "gemini")
)
OTHERS, ENDPOINTS = "wire/test_traps_others.py", "e2e/test_traps_endpoints.py"
SDKS, OWN = "e2e/test_sdks_on_recordings.py", "e2e/test_sdks_own.py"

TRAPS: dict[str, tuple[str, ...]] = {
    "chat: reasoning has three names": (
        f"{CHAT}::test_streams",
        "wire/test_openai_chat_stream.py::test_reasoning_of_many_servers",
    ),
    "chat: reasoning_details and thought signatures are replayed": (
        f"{SDKS}::test_what_was_signed_comes_back",
        "wire/test_openai_chat_stream.py::test_signatures_are_read",
        "wire/test_openai_chat_request.py::test_signatures_go_back_where_they_came_from",
    ),
    "chat: usage in any chunk, in every chunk, twice": (f"{CHAT}::test_usage",),
    "chat: a first chunk without choices, obfuscation": (f"{CHAT}::test_streams",),
    "chat: tool deltas whole, without type, index or id": (
        f"{CHAT}::test_streams",
        "wire/test_openai_chat_stream.py::test_an_id_is_never_overwritten_nor_missing",
    ),
    "chat: empty words, eos, stop after a call": (f"{CHAT}::test_streams",),
    "chat: custom tool calls": (f"{CHAT}::test_tool_calls_of_type_custom",),
    "chat: content may be a list": (f"{CHAT}::test_streams",),
    "chat: message beside delta, citations in every chunk, no [DONE]": (
        f"{CHAT}::test_streams",
        "wire/test_openai_chat_stream.py::test_sources_in_every_chunk_are_cited_once",
    ),
    "chat: comments, a finish in two chunks": (f"{CHAT}::test_streams",),
    "chat: an error event ends a good stream": (f"{CHAT}::test_an_error_event_ends_a_good_stream",),
    "chat: error bodies in many shapes": (
        f"{CHAT}::test_error_bodies",
        "wire/test_openai_chat_errors.py::test_recorded_errors",
    ),
    "anthropic: blanks around JSON, ping anywhere": (
        f"{ANTHROPIC}::test_blanks_around_the_json_of_an_event",
        f"{ANTHROPIC}::test_streams",
    ),
    "anthropic: totals of message_delta replace": (
        f"{ANTHROPIC}::test_totals_replace_those_of_message_start",
    ),
    "anthropic: signatures, empty and redacted thinking": (
        f"{ANTHROPIC}::test_streams",
        "wire/test_anthropic_request.py::test_thinking_that_only_this_wire_knows_comes_back",
    ),
    "anthropic: stop_details, pause_turn, an empty refusal": (
        f"{ANTHROPIC}::test_streams",
        f"{ANTHROPIC}::test_pause_turn",
        f"{ANTHROPIC}::test_a_refusal_without_content",
    ),
    "anthropic: whole inputs, empty partial_json, server blocks between texts": (
        f"{ANTHROPIC}::test_streams",
        f"{ANTHROPIC}::test_server_tools_are_no_calls_for_the_client",
    ),
    "anthropic: retry-after on a good answer": (
        f"{ENDPOINTS}::test_retry_after_on_a_good_answer_is_no_error",
    ),
    "anthropic: system messages in messages": (
        f"{ANTHROPIC}::test_system_messages_in_mid_conversation",
        f"{ANTHROPIC}::test_system_messages_stay_where_they_stood_for_those_that_take_them",
    ),
    "responses: raw reasoning and summaries": (f"{RESPONSES}::test_streams",),
    "responses: items of servers": (f"{RESPONSES}::test_items_of_servers_are_no_calls_for_the_client",),
    "responses: keys in any order, event after data, [DONE], ids that change": (
        f"{RESPONSES}::test_framings",
        f"{RESPONSES}::test_streams",
    ),
    "responses: items without a type; reasoning before its call": (
        f"{RESPONSES}::test_input_items_may_have_no_type",
        f"{RESPONSES}::test_reasoning_keeps_its_place_before_its_call",
    ),
    "responses: a 200 that is incomplete or failed": (
        f"{RESPONSES}::test_a_plain_answer_may_be_incomplete",
        f"{RESPONSES}::test_a_plain_answer_may_have_failed",
    ),
    "gemini: STOP for calls, ids missing or shared": (
        f"{GEMINI}::test_streams",
        "wire/test_gemini_answer.py::test_calls_without_an_id_get_one_that_no_other_answer_gives",
    ),
    "gemini: thought signatures wherever they stand": (
        f"{GEMINI}::test_signatures_come_back_wherever_they_stood",
        f"{SDKS}::test_what_was_signed_comes_back",
    ),
    "gemini: no candidates, no content, no parts, malformed calls": (
        f"{GEMINI}::test_streams",
        f"{GEMINI}::test_answers",
        f"{GEMINI}::test_a_malformed_call_is_a_legal_answer",
    ),
    "gemini: arrays, numbers for words, CR LF, snake_case": (
        f"{GEMINI}::test_a_stream_that_is_one_array",
        f"{GEMINI}::test_streams",
        f"{GEMINI}::test_requests_mix_their_cases",
    ),
    "gemini: thoughts and tool prompts outside of the counts": (
        f"{GEMINI}::test_thoughts_and_tool_prompts_stand_outside_of_the_counts",
    ),
    "gemini: parts that ran at the server": (
        f"{GEMINI}::test_what_servers_ran_returns_to_gemini_only",
        f"{GEMINI}::test_what_servers_ran_is_no_call_for_the_client",
    ),
    "cohere: plans, empty and null arguments, two usages, [DONE]": (
        f"{OTHERS}::test_cohere_plans_and_calls",
        f"{OTHERS}::test_cohere_ends_with_or_without_done",
        f"{OTHERS}::test_recorded_streams_of_cohere",
    ),
    "bedrock: binary events, usage after the end": (
        f"{OTHERS}::test_bedrock_tells_usage_after_the_end",
        "wire/test_aws_events.py::test_recorded_streams_are_the_same_however_they_are_cut",
    ),
    "ollama: lines, arguments as objects, no ids": (
        f"{OTHERS}::test_ollama_lines_with_arguments_as_an_object_and_no_ids",
        f"{OTHERS}::test_ollama_takes_arguments_as_an_object",
    ),
    "1: sequence numbers and objects that SDKs demand": (
        f"{RESPONSES}::test_every_event_has_its_number",
        f"{RESPONSES}::test_objects_that_sdks_demand_are_there",
    ),
    "2: parts added and done, output as streamed": (
        f"{RESPONSES}::test_whatever_was_opened_is_closed_once_and_stands_in_the_end",
        f"{RESPONSES}::test_a_summary_part_is_added_before_its_first_delta",
    ),
    "3: reasoning and calls in turns": (
        f"{RESPONSES}::test_no_call_is_lost_between_reasoning",
        f"{CHAT}::test_streams",
    ),
    "4: reasoning without a summary": (f"{RESPONSES}::test_reasoning_without_a_summary_is_not_lost",),
    "5: file citations, several messages": (
        f"{RESPONSES}::test_file_citations_do_not_spoil_an_answer",
        f"{RESPONSES}::test_streams",
    ),
    "6: genai's v1, arrays, Google's errors": (
        f"{ENDPOINTS}::test_genai_calls_v1_by_default",
        f"{ENDPOINTS}::test_the_gateways_own_errors_are_in_the_clients_format",
    ),
    "7: usage and thoughts for Gemini clients": (
        f"{GEMINI}::test_what_gemini_clients_count",
        f"{SDKS}::test_the_meaning_survives",
    ),
    "8: mixed cases, images, tools as one object": (f"{GEMINI}::test_requests_mix_their_cases",),
    "9: comments and line ends": (f"{GEMINI}::test_streams", f"{RESPONSES}::test_framings"),
    "10: several calls in a chunk, STOP": (f"{GEMINI}::test_streams",),
    "11: a result names its call; equal calls stay": (
        f"{GEMINI}::test_a_result_names_its_call",
        f"{GEMINI}::test_streams",
    ),
    "12: no usage, the last usage counts": (
        f"{GEMINI}::test_streams",
        f"{GEMINI}::test_thoughts_and_tool_prompts_stand_outside_of_the_counts",
    ),
    "13: text beside a call, one id": (
        f"{GEMINI}::test_streams",
        f"{GEMINI}::test_a_streamed_answer_has_one_id",
    ),
    "14: an unsigned thought has an empty signature": (
        f"{ANTHROPIC}::test_thinking_without_a_signature_has_an_empty_one",
        f"{OWN}::test_what_was_signed_comes_back",
    ),
    "15: server tools are no calls": (
        f"{ANTHROPIC}::test_server_tools_are_no_calls_for_the_client",
        f"{RESPONSES}::test_items_of_servers_are_no_calls_for_the_client",
    ),
    "16: documents that are text": (f"{ANTHROPIC}::test_documents_that_are_text_belong_into_the_prompt",),
    "17: input without cache reads and writes": (
        f"{ANTHROPIC}::test_input_tokens_exclude_cache_reads_and_writes",
        f"{ANTHROPIC}::test_totals_replace_those_of_message_start",
    ),
    "18: system messages in mid-conversation; errors in Anthropic's shape": (
        f"{ANTHROPIC}::test_system_messages_in_mid_conversation",
        f"{ENDPOINTS}::test_the_gateways_own_errors_are_in_the_clients_format",
    ),
    "19: several choices": (
        f"{CHAT}::test_choices_are_not_merged",
        f"{CHAT}::test_of_several_choices_the_first_alone_is_told",
    ),
    "20: zero values; legacy functions": (
        f"{CHAT}::test_streams",
        f"{CHAT}::test_legacy_functions_are_tools",
    ),
    "21: empty ids, repeated roles, usage anywhere": (f"{CHAT}::test_streams", f"{CHAT}::test_usage"),
    "22: reasoning outside of completion_tokens; cached tokens in three places": (f"{CHAT}::test_usage",),
    "23: stop as a string, allowed tools, effort and schemas": (
        f"{CHAT}::test_stop_may_be_a_string",
        f"{CHAT}::test_allowed_tools",
        f"{CHAT}::test_effort_and_schemas_have_equals_elsewhere",
    ),
    "24: a stream without its end; rubble with status 200": (
        f"{ENDPOINTS}::test_a_stream_without_its_end_is_broken_though_it_closed_well",
        f"{ENDPOINTS}::test_rubble_with_status_200_is_no_empty_answer",
    ),
    "25: Retry-After, 529, stalls": (
        f"{OWN}::test_a_rate_limit_comes_with_its_wait",
        f"{ENDPOINTS}::test_an_overloaded_provider_is_told_as_such",
        f"{ENDPOINTS}::test_a_stall_ends_within_its_deadline",
    ),
    "26: a client that hangs up": (f"{ENDPOINTS}::test_a_client_that_hangs_up_cancels_the_upstream",),
    "27: the gateway's own errors": (
        f"{ENDPOINTS}::test_the_gateways_own_errors_are_in_the_clients_format",
        "e2e/test_bad_input.py::test_bodies_that_are_no_request",
    ),
    "28: a last event without its blank line; cuts anywhere": (
        f"{RESPONSES}::test_framings",
        "wire/test_sse.py::test_any_cut_gives_the_same",
    ),
}


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_its_tests(trap: str) -> None:
    missing = [test for test in TRAPS[trap] if test.split("::")[1] not in functions(test.split("::")[0])]
    assert TRAPS[trap] and missing == []
