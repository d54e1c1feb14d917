"""Why a forward failed: the call described, the fix tried, the wrong size followed back."""
