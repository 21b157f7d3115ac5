"""The engine: (state, evidence, now) -> (state, decisions). Nothing here touches a socket, disk, clock or thread."""
