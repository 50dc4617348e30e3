"""A downstream check of synthetic contrasts: does a lesion segmenter find as much with them as with real ones?"""
