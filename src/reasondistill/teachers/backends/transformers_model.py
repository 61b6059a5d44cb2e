"""A causal or sequence-to-sequence language model of transformers as a teacher, in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reasondistill.contracts.teacher_replies import TokenUsage
from reasondistill.errors import importing, refused
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.backends.completions import one_text
from reasondistill.teachers.teach_settings import TransformersTeacher
from reasondistill.teachers.teacher_requests import TeacherRequest


class TransformersBackend:
    """Generates in batches. A tokenizer with a chat template gets messages, any other one text."""

    concurrent = 1
    kept = True

    def __init__(self, teacher: TransformersTeacher) -> None:
        with importing("a model of transformers as a teacher", "train"):
            import torch
            from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
        self._settings = teacher
        loading = {"revision": teacher.revision}
        with refused(teacher.checkpoint, "a causal or sequence-to-sequence model of transformers"):
            config = AutoConfig.from_pretrained(teacher.checkpoint, **loading)
            self._continues = not config.is_encoder_decoder
            kind = AutoModelForCausalLM if self._continues else AutoModelForSeq2SeqLM
            self._tokenizer = AutoTokenizer.from_pretrained(teacher.checkpoint, padding_side="left", **loading)
            self._model = kind.from_pretrained(teacher.checkpoint, **loading).eval()
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(self._device)
        self.at_once = teacher.batch_size
        self.model = f"{teacher.checkpoint}@{teacher.revision}"

    def parameters(self, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        t = self._settings
        chosen = {"do_sample": True, "temperature": t.temperature, "top_p": t.top_p} if t.temperature else {}
        seed = {} if t.seed is None else {"seed": t.seed + sample}
        given = {name: value for name, value in {**chosen, **seed}.items() if value is not None}
        return {"do_sample": False, "max_new_tokens": t.max_tokens, **given}

    def answer(self, requests: Sequence[TeacherRequest]) -> list[BackendReply]:
        import torch

        prompts = [self._prompt(request) for request in requests]
        chat = self._tokenizer.chat_template is not None
        batch = self._tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=not chat)
        batch = batch.to(self._device)
        options = dict(requests[0].parameters)
        if (seed := options.pop("seed", None)) is not None:
            torch.manual_seed(seed)
        with torch.inference_mode():
            rows = self._model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                pad_token_id=self._tokenizer.pad_token_id,
                **options,
            )
        if self._continues:
            rows = rows[:, batch["input_ids"].shape[1] :]
        read = batch["attention_mask"].sum(-1).tolist()
        return [self._reply(row, tokens) for row, tokens in zip(rows.tolist(), read, strict=True)]

    def _prompt(self, request: TeacherRequest) -> str:
        if self._tokenizer.chat_template is None:
            return one_text(request.messages)
        messages = [dict(message) for message in request.messages]
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def _reply(self, row: list[int], read: int) -> BackendReply:
        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        begin = 0 if self._continues else 1  # the token that a decoder begins with
        end = next((place for place, token in enumerate(row) if place >= begin and token in ends), None)
        stopped = end is not None
        text = self._tokenizer.decode(row[begin:end], skip_special_tokens=True)
        if self._tokenizer.chat_template is None:
            text, goes_on, _ = text.lstrip().partition("\n\n")  # a base model goes on with a next example
            stopped = stopped or bool(goes_on)
        written = (len(row) if end is None else end + 1) - begin
        reason = "stop" if stopped else "length"
        return BackendReply(text=text, finish_reason=reason, usage=TokenUsage(input=read, output=written))

    def close(self) -> None:
        pass
