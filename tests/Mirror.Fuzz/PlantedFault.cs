namespace Mirror.Fuzz;

/// <summary>A parser with a fault behind seven compared characters: only a fuzzer that sees how far an input came gets there.</summary>
internal static class PlantedFault
{
    public const string Name = "planted-fault";

    public static void Parse(string text)
    {
        if (text.Length > 6 && text[0] == 'm' && text[1] == 'i' && text[2] == 'r' && text[3] == 'r' && text[4] == 'o' && text[5] == 'r'
            && text[6] == '7')
            throw new InvalidOperationException("The planted fault.");
    }
}
