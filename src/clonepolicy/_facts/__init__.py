"""Facts: what is known of images, volumes, arrays and configuration."""
