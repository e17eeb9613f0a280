"""Strategies: generators that propose designs and receive their scores."""
