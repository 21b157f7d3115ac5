"""The extension points. Each class here is the pluggy hookspec and the contract of one of them."""
