"""What shell commands did, as far as their output tells. Below segmentation and wording; knows nothing of either."""
