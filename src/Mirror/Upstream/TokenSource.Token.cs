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

        // That a 403 or 400 was answered to this token although it was new, or to one before it.
        public Denial? Denial { get; set; }

        // Whether the mirror requested it without the login of its account. Then it gives the rights of an anonymous client.
        public bool IsLoginWithheld { get; init; }
    }

    // Pause: how long no token is requested because of such an answer.
    internal sealed record Denial(long At, TimeSpan Pause);
}
