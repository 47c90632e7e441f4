from __future__ import annotations

import pytest

from genhub.shapes import scenes, tokenizer


@pytest.fixture(scope="module")
def built():
    return tokenizer.build()


def test_each_word_is_one_token(built):
    for word in tokenizer.words():
        assert len(built(word).input_ids) == 3, word  # with start and end
    assert len({built(word).input_ids[1] for word in tokenizer.words()}) == len(tokenizer.words())


def test_every_caption_fits_with_start_and_end(built):
    captions = [scenes.caption(scene) for scene in scenes.singles()]
    captions += scenes.prompts(200, pairs=True)
    lengths = {len(ids) for ids in built(captions).input_ids}
    assert max(lengths) <= tokenizer.LENGTH
    spoken = {word for text in captions for word in text.split()}
    assert spoken <= set(tokenizer.words())


def test_captions_survive_tokens(built):
    for text in (*scenes.prompts(20), *scenes.prompts(20, pairs=True)):
        assert built.decode(built(text).input_ids, skip_special_tokens=True) == text


def test_padding_is_the_end_token(built):
    ids = built("a red star", padding="max_length").input_ids
    end = tokenizer.vocabulary()[tokenizer.END]
    assert len(ids) == tokenizer.LENGTH == built.model_max_length
    assert ids[4:] == [end] * (tokenizer.LENGTH - 4)


def test_unknown_words_are_spelt_not_lost(built):
    assert len(built("zebra").input_ids) > 3


def test_saved_tokenizer_reads_the_same(built, tmp_path):
    from transformers import CLIPTokenizer

    built.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path, local_files_only=True)
    for text in (*scenes.prompts(5), ""):
        assert (
            again(text, padding="max_length").input_ids
            == built(text, padding="max_length").input_ids
        )
