"""tiny:tones, an embedded text-to-audio model: its world of sounds, its pipeline, its judge."""
