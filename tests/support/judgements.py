"""What tests look at of a judgement."""

from consumer.decide.model import Judgement, Reason


def thresholds(judgement: Judgement) -> list[str]:
    return [crossing.threshold.identity for crossing in judgement.occurrences]


def reasons(judgement: Judgement) -> list[Reason]:
    return [reason for _, reason in judgement.reasons]
