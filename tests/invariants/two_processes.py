"""One optimizer step in each of two processes; run by torchrun from test_gradients.py."""

import sys
from pathlib import Path

from safetensors.torch import save_file

from reasondistill.training.process_group import joined
from trainings import trainer

if __name__ == "__main__":
    out = Path(sys.argv[1])
    with joined(use_cpu=True):
        made = trainer(out, per_device_train_batch_size=4, gradient_accumulation_steps=2, ddp_backend="gloo")
        made.train()
    if made.is_world_process_zero():
        save_file(
            {name: p.detach().clone() for name, p in made.saved.model.named_parameters()}, out / "after.safetensors"
        )
