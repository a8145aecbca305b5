"""The publisher's API: its client, what it answers, its errors and its closed word lists."""
