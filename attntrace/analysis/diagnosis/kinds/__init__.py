"""What holds for every op, whatever the shapes: number formats, devices, and autograd."""
