"""Run qemu-img, confined to the files that it is given."""
