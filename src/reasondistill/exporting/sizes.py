"""The sizes of a student's parts, as a package keeps them."""

from __future__ import annotations

from reasondistill.evaluation.efficiency.torch_costs import count_parameters
from reasondistill.students.engines.architecture import Architecture
from reasondistill.students.families import family_of
from reasondistill.students.model_protocol import EncoderDecoder


def architecture_of(model: EncoderDecoder) -> Architecture:
    """The architecture of a transformers model of the families of T5's or BART's layout."""
    config, counted = model.config, count_parameters(model)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    known = {
        "d_model": config.d_model,
        "vocabulary": vocabulary,
        "embedding_parameters": counted.embedding,
        "other_parameters": counted.rest,
        "trainable_parameters": counted.trainable,
    }
    if family_of(model).head == "bart":
        # Its heads share d_model among them, however many they are.
        return Architecture(
            **known,
            encoder_layers=config.encoder_layers,
            decoder_layers=config.decoder_layers,
            encoder_attention=config.d_model,
            decoder_attention=config.d_model,
            encoder_ff=config.encoder_ffn_dim,
            decoder_ff=config.decoder_ffn_dim,
            ff_matrices=2,
        )
    width = config.num_heads * config.d_kv
    return Architecture(
        **known,
        encoder_layers=config.num_layers,
        decoder_layers=config.num_decoder_layers,
        encoder_attention=width,
        decoder_attention=width,
        encoder_ff=config.d_ff,
        decoder_ff=config.d_ff,
        ff_matrices=3 if config.is_gated_act else 2,
    )
