"""Codecs of files that only one application has, one file each; what several share stands in
`cardcore.layouts.transit`.
"""
