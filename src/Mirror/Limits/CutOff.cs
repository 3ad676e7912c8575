namespace Mirror.Limits;

/// <summary>Why the server has ended a request although its client was still there, for the log.</summary>
/// <param name="Advice">What the operator can do.</param>
public sealed record CutOff(string Why, string Advice)
{
    /// <summary>The client took too few bytes (<c>KestrelServerLimits.MinResponseDataRate</c>).</summary>
    internal static readonly CutOff Unread = new(
        "the client took no byte for a minute, or fewer than 240 bytes a second",
        "if this client pauses while it unpacks or waits for its disk, let it download fewer layers at the same time");

    internal static readonly CutOff ManyConnections = new(
        "the server had too many connections, and this client was the slowest", OpenFiles.Advice);

    internal static readonly CutOff ManyBodies = new(
        "the server had too many bodies on their way, and this client was the slowest", OpenFiles.Advice);
}
