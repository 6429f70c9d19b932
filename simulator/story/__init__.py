"""What a scenario's file can say, and how it is read, spread over the pumps and judged."""
