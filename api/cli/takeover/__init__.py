"""`onecard takeover`: a city whose cards come from an old centre."""
