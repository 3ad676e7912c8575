
namespace Mirror.Bench;

/// <summary>A Markdown table on standard output, each row as soon as it is known.</summary>
internal sealed class Table
{
    private readonly int _columns;

    public Table(string title, params string[] columns)
    {
        _columns = columns.Length;
        Console.WriteLine($"\n### {title}\n");
        Row(columns);
        Console.WriteLine($"|{string.Join('|', columns.Select((_, i) => i == 0 ? "---" : "---:"))}|");
    }

    public void Row(params string[] cells)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(cells.Length, _columns);
        Console.WriteLine($"| {string.Join(" | ", cells)} |");
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? double.NaN : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
