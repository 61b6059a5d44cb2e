"""What one writes in an afternoon: FastAPI, and `generate` of transformers for each request.

benchmarks/serving.py starts and asks it:

python benchmarks/plain_endpoint.py CHECKPOINT PORT MAX_NEW_TOKENS
"""

from __future__ import annotations

import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

folder, port, longest = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
app = FastAPI()
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder).eval()


class Prompt(BaseModel):
    text: str


@app.post("/v1/explain")
def explain(prompt: Prompt) -> dict[str, str]:
    inputs = tokenizer(prompt.text, return_tensors="pt")
    with torch.inference_mode():
        written = model.generate(input_ids=inputs["input_ids"], max_new_tokens=longest)
    return {"text": tokenizer.decode(written[0], skip_special_tokens=True)}


uvicorn.run(app, port=port, log_level="warning")
