"""Strategies: generators that propose designs and are told their scores."""
