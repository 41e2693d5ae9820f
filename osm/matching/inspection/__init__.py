"""What the SAR branch learned, to look at: filters, similarity of stages, activations, embeddings, one page."""
