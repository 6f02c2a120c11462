"""`onecard card`: virtual cards, cards in a reader, published dumps."""
