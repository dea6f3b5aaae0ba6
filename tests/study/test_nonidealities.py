"""The study of non-idealities: its ranking, and errors that can be worked out."""

import math

import pytest

from accelsim.study.nonidealities import STRENGTHS, run_study


@pytest.fixture(scope="module")
def study():
    return run_study()


def test_input_and_output_noise_hurt_most(study):
    """The finding of Rasch et al., Nature Communications 14, 2023: noise of inputs and outputs, before all else."""
    assert set(study.ranking[:2]) == {"input noise", "output noise"}


def test_noise_grows_in_proportion(study):
    for name in ("input noise", "output noise", "weight noise, additive", "weight noise, read"):
        errors = {each.strength: each.error for each in study.points if each.name == name}
        assert errors[0.02] == pytest.approx(2 * errors[0.01], rel=0.02)


def test_a_step_is_as_bad_as_noise_of_its_rounding(study):
    """Rounding to a step s leaves a standard deviation of s / sqrt 12."""
    at = {each.name: each.error for each in study.points if each.strength == 0.01}
    assert at["ADC steps"] == pytest.approx(at["output noise"] / math.sqrt(12), rel=0.03)


def test_the_standard_model_is_some_fifteen_percent_off_after_an_hour(study):
    parts = {each.name: each.error for each in study.standard}
    assert 0.12 < parts["all, after an hour"] < 0.18
    assert parts["the same without compensation"] > parts["programming and an hour of drift"]
    assert len(study.points) == 10 * len(STRENGTHS)
