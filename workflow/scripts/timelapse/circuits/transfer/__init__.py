"""Circuits and heads of one checkpoint run in others. Stage: circuits."""
