namespace Mirror.Configuration.Reading;

/// <summary>Makes what a file says printable on one line.</summary>
internal static class Visible
{
    /// <summary>The text with the number of each character that cannot be seen, such as a line break or a no-break space.</summary>
    public static string Text(string text) => text.All(IsSeen)
        ? text
        : string.Concat(text.Select(letter => IsSeen(letter) ? $"{letter}" : $"\\u{(int)letter:X4}"));

    private static bool IsSeen(char letter) =>
        letter == ' ' || !char.IsControl(letter) && !char.IsWhiteSpace(letter) && letter is not ('\u200B' or '\uFEFF');
}
