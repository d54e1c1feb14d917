"""LSTM, GRU, RNN and their cells."""
