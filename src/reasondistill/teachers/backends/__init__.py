"""Ways of reaching teachers: one file each, all behind `backend.Backend`."""
