"""The reference CenterNet: models, weights, targets and losses need torch alone; data and training their extras."""
