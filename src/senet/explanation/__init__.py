"""Explain what the gates of a trained network do: statistics, interventions, diagnoses, figures and files."""

from senet.explanation.explanation import Explanation
from senet.explanation.measuring import explain

__all__ = ["Explanation", "explain"]
