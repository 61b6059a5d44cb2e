"""What a training does with its examples before a student sees them: select, augment, add confidence, mix."""
