"""From a product and an order to a card in somebody's hand, and what becomes of it later."""
