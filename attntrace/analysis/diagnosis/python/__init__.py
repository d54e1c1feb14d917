"""What plain Python refuses: values that are no tensors, one yes or no of many, names, arguments."""
