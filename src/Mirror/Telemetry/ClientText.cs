namespace Mirror.Telemetry;

/// <summary>Bounds what clients can write into logs.</summary>
internal static class ClientText
{
    /// <summary>The beginning of a text that a client chooses.</summary>
    public static string? Cut(string? text, int max) => text?.Length > max ? text[..max] : text;
}
