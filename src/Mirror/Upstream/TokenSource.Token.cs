namespace Mirror.Upstream;

public sealed partial class TokenSource
{
    // Life counts from the timestamp At.
    internal sealed record Token(string Value, TimeSpan Life, Challenge Challenge, long At)
    {
        public bool WasAccepted { get; set; }

        // Whether it replaces a token that the registry refused without ever having accepted it. Tokens after it keep this mark until the
        // registry accepts one.
        public bool ReplacesUnaccepted { get; init; }

        // Whether the mirror requested it without the login of its account. Then it gives the rights of an anonymous client.
        public bool IsLoginWithheld { get; init; }
    }
}
